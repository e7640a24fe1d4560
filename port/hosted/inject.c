/*
 * inject.c - the failure points, counted
 */
#include "inject.h"

#include <tuxmm/port.h>

bool tmm_port_injecting;
static uint64_t fail_at, passed;
static bool fail_later, failed;

void tmm_inject_nth(uint64_t n, bool forever)
{
	fail_at = n;
	fail_later = forever;
	passed = 0;
	failed = false;
	tmm_port_injecting = true;
}

bool tmm_inject_stop(void)
{
	tmm_port_injecting = false;
	return failed;
}

uint64_t tmm_inject_count(void)
{
	return passed;
}

bool tmm_port_allow_counted(const char *point)
{
	(void)point;
	passed++;
	if (passed == fail_at || (fail_later && passed > fail_at)) {
		failed = true;
		return false;
	}
	return true;
}
