/*
 * embed.c - the core in a program of its own: 32 MiB of memory, pages and objects
 *
 * All a kernel needs: a port (port/tuxmm_port_arch.h and the functions at the
 * end of this file), memory that reads as zeroes, and a map of it.
 */
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#include <tuxmm/machine.h>
#include <tuxmm/port.h>
#include <tuxmm/view.h>

#define RAM_BYTES (UINT64_C(32) << 20)

static alignas(4096) unsigned char ram[RAM_BYTES];

static void print(void *arg, const char *text, size_t bytes)
{
	(void)arg;
	fwrite(text, 1, bytes, stdout);
}

int main(void)
{
	const struct tmm_firmware_range map[] = {
		{.start = {0}, .size_bytes = RAM_BYTES, .type = TMM_FW_USABLE},
	};
	const struct tmm_shape shape = {.firmware_map = map, .nr_ranges = 1, .nr_cpus = 1};
	const struct tmm_sink out = {.write = print};
	struct tmm_machine *machine = aligned_alloc(64, tmm_machine_bytes());
	const char *why;
	tmm_pfn run;
	void *object;

	if (!machine || tmm_machine_init(machine, &shape, ram, &why) != TMM_OK) {
		fprintf(stderr, "embed: %s\n", machine ? why : "no memory");
		return 1;
	}
	if (tmm_pages_alloc(tmm_machine_pages(machine), TMM_GFP_KERNEL, 3, &run) != TMM_OK)
		return 1;
	object = tmm_kmalloc(tmm_machine_slabs(machine), 100, TMM_GFP_KERNEL);
	if (!object)
		return 1;
	printf("eight frames at %#llx, an object at %#llx\n",
	       (unsigned long long)tmm_pfn_to_paddr(run).v,
	       (unsigned long long)((unsigned char *)object - ram));
	tmm_view_buddyinfo(machine, &out);
	tmm_check(machine);

	tmm_kfree(tmm_machine_slabs(machine), object);
	tmm_pages_free(tmm_machine_pages(machine), run, 3);
	tmm_machine_fini(machine);
	free(machine);
	return 0;
}

/* The port: see <tuxmm/port.h>. */
struct tmm_cpu *embed_cpu;

void tmm_port_relax(void)
{
}

/* One CPU has nobody to wait for. */
void tmm_port_wait(const uint32_t *word, uint32_t seen)
{
	(void)word;
	(void)seen;
}

void tmm_port_wake(const uint32_t *word)
{
	(void)word;
}

bool tmm_port_barrier_all(void)
{
	return true;
}

bool tmm_port_may_sleep(void)
{
	return true;
}

/* No windows: what needs one, as vmalloc, fails. */
void *tmm_port_window_create(uint64_t bytes)
{
	(void)bytes;
	return NULL;
}

void tmm_port_window_destroy(void *start, uint64_t bytes)
{
	(void)start;
	(void)bytes;
}

bool tmm_port_window_show(void *at, void *from, uint64_t bytes, bool may_write)
{
	(void)at;
	(void)from;
	(void)bytes;
	(void)may_write;
	return false;
}

void tmm_port_window_hide(void *at, uint64_t bytes)
{
	(void)at;
	(void)bytes;
}

bool tmm_port_ram_direct(void *from, uint64_t bytes, bool is_direct)
{
	(void)from;
	(void)bytes;
	return is_direct;
}

void tmm_port_log(unsigned level, const char *line)
{
	fprintf(stderr, "<%u> %s\n", level, line);
}

_Noreturn void tmm_port_panic(const char *file, unsigned line, const char *what)
{
	fprintf(stderr, "%s:%u: broken rule: %s\n", file, line, what);
	abort();
}
