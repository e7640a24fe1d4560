/*
 * fixmap.h - addresses that are known when the kernel is built
 *
 * Each slot is a page at an address that depends on its number alone, counted down
 * from the top of the fixed map; what it maps is set and cleared at run time.  For
 * registers that must be reached before anything can be allocated, and for
 * patching code.
 *
 * Locks    rank KMAP; any context.  One caller per slot at a time
 * Linux    enum fixed_addresses, set_fixmap(), fix_to_virt()
 */
#ifndef TUXMM_FIXMAP_H
#define TUXMM_FIXMAP_H

#include <tuxmm/kernel_map.h>

enum tmm_fix {
	TMM_FIX_HOLE, /* 32 bits: kept free; else the page of vsyscall */
	TMM_FIX_DBGP, /* debug port */
	TMM_FIX_EARLYCON,
	TMM_FIX_APIC,
	TMM_FIX_IO_APIC_0,
	TMM_FIX_IO_APIC_END = TMM_FIX_IO_APIC_0 + 8,
	TMM_FIX_TEXT_POKE1 = TMM_FIX_IO_APIC_END,
	TMM_FIX_TEXT_POKE0,
	TMM_FIX_USER_0, /* for whoever uses the library */
	TMM_FIX_USER_END = 32,
	TMM_NR_FIX = TMM_FIX_USER_END
};

/* The address of a slot, and the slot of an address; TMM_NR_FIX: none. */
tmm_vaddr tmm_fix_to_virt(const struct tmm_kernel_map *map, enum tmm_fix slot);
enum tmm_fix tmm_virt_to_fix(const struct tmm_kernel_map *map, tmm_vaddr va);

/*
 * From now on the slot maps the page at pa; what it mapped before is flushed.  prot:
 * TMM_KPROT_*; without TMM_KPROT_IO the page is RAM, and found behind the pointer.
 *   TMM_E_INVAL  no such slot, not a whole page, or not RAM
 *   TMM_E_NOMEM  no frame for a table (never where there is high memory)
 *   TMM_E_NOSYS  the port has no windows
 */
TMM_MUST_CHECK tmm_err tmm_set_fixmap(struct tmm_kernel_map *map, enum tmm_fix slot,
                                      tmm_paddr pa, unsigned prot);

/* The slot maps nothing any more; none before: nothing happens. */
void tmm_clear_fixmap(struct tmm_kernel_map *map, enum tmm_fix slot);

#endif
