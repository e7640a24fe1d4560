/*
 * status.c - /proc/PID/status
 *
 * The Vm rows are the address space's; who the task is, the caller says.  Rows
 * that depend on a Linux's configuration and mean nothing here (namespaces) are
 * left out; capabilities, seccomp and the like are those of a task that has
 * none.
 */
#include <tuxmm/view.h>

#include "view/snapshot.h"

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "disk sleep";
	case 'T':
		return "stopped";
	case 't':
		return "tracing stop";
	case 'X':
		return "dead";
	case 'Z':
		return "zombie";
	case 'I':
		return "idle";
	default:
		return "unknown";
	}
}

static void print_who(struct printer *printer, const struct tmm_task_id *id)
{
	print(printer, "Name:\t");
	print_escaped(printer, id->name, "\n\\");
	print(printer, "\nUmask:\t0%u%u%u\n", (id->umask >> 6) & 7, (id->umask >> 3) & 7,
	      id->umask & 7);
	print(printer, "State:\t%c (%s)\n", id->state, state_name(id->state));
	print(printer, "Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n", id->pid,
	      id->pid, id->ppid);
	print(printer, "Uid:\t%u\t%u\t%u\t%u\n", id->uid[0], id->uid[1], id->uid[2],
	      id->uid[3]);
	print(printer, "Gid:\t%u\t%u\t%u\t%u\n", id->gid[0], id->gid[1], id->gid[2],
	      id->gid[3]);
	print(printer, "FDSize:\t%u\nGroups:\t \nKthread:\t0\n", id->fd_size);
}

static void row(struct printer *printer, const char *name, uint64_t kib)
{
	print(printer, "%s:\t%8lu kB\n", name, kib);
}

static void page_row(struct printer *printer, const char *name, uint64_t pages)
{
	row(printer, name, pages_to_kib(pages));
}

/* Code of the program itself; what else is executable belongs to libraries. */
static uint64_t text_bytes(const struct tmm_mm_image *image, uint64_t exec_pages)
{
	uint64_t start = align_down(image->start_code, TMM_PAGE_SIZE);
	uint64_t end = align_up(image->end_code, TMM_PAGE_SIZE);

	return min_u64(end > start ? end - start : 0, exec_pages << TMM_PAGE_SHIFT);
}

static void print_memory(struct printer *printer, struct tmm_mm *mm)
{
	struct tmm_mm_usage usage;
	uint64_t rss = 0, text;

	tmm_mm_usage(mm, &usage);
	for (unsigned kind = 0; kind < TMM_NR_RSS; kind++)
		rss += usage.rss_pages[kind];
	text = text_bytes(tmm_mm_image(mm), usage.exec_pages);
	page_row(printer, "VmPeak", usage.peak_total_pages);
	page_row(printer, "VmSize", usage.total_pages);
	page_row(printer, "VmLck", usage.locked_pages);
	row(printer, "VmPin", 0);
	page_row(printer, "VmHWM", max_u64(usage.peak_rss_pages, rss));
	page_row(printer, "VmRSS", rss);
	page_row(printer, "RssAnon", usage.rss_pages[TMM_RSS_ANON]);
	page_row(printer, "RssFile", usage.rss_pages[TMM_RSS_FILE]);
	page_row(printer, "RssShmem", usage.rss_pages[TMM_RSS_SHMEM]);
	page_row(printer, "VmData", usage.data_pages);
	page_row(printer, "VmStk", usage.stack_pages);
	row(printer, "VmExe", text >> 10);
	row(printer, "VmLib", pages_to_kib(usage.exec_pages) - (text >> 10));
	/* Linux does not count the root here */
	page_row(printer, "VmPTE", usage.table_pages > 0 ? usage.table_pages - 1 : 0);
	row(printer, "VmSwap", 0);
	row(printer, "HugetlbPages", 0);
	print(printer, "CoreDumping:\t0\nTHP_enabled:\t0\nuntag_mask:\t0x%lx\n", UINT64_MAX);
}

static void print_signals(struct printer *printer, const struct tmm_task_id *id)
{
	print(printer, "Threads:\t%u\nSigQ:\t0/0\n", id->threads);
	print(printer, "SigPnd:\t%016lx\n", id->sig_pending);
	print(printer, "ShdPnd:\t%016lx\n", id->shd_pending);
	print(printer, "SigBlk:\t%016lx\n", id->sig_blocked);
	print(printer, "SigIgn:\t%016lx\n", id->sig_ignored);
	print(printer, "SigCgt:\t%016lx\n", id->sig_caught);
}

static void print_rights(struct printer *printer)
{
	static const char *const sets[] = {"Inh", "Prm", "Eff", "Bnd", "Amb"};

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		print(printer, "Cap%s:\t%016lx\n", sets[i], UINT64_C(0));
	print(printer, "NoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n"
	               "Speculation_Store_Bypass:\tunknown\n"
	               "SpeculationIndirectBranch:\tunknown\n"
	               "Cpus_allowed:\t1\nCpus_allowed_list:\t0\n"
	               "Mems_allowed:\t1\nMems_allowed_list:\t0\n");
}

void tmm_view_status(struct tmm_mm *mm, const struct tmm_task_id *id,
                     const struct tmm_sink *sink)
{
	struct printer printer;

	print_begin(&printer, sink);
	print_who(&printer, id);
	print_memory(&printer, mm);
	print_signals(&printer, id);
	print_rights(&printer);
	print(&printer, "voluntary_ctxt_switches:\t%lu\n", id->voluntary_switches);
	print(&printer, "nonvoluntary_ctxt_switches:\t%lu\n", id->involuntary_switches);
	print_end(&printer);
}
