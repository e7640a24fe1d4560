/*
 * fixmap.h - addresses that are known when the kernel is built (Linux: asm/fixmap.h)
 *
 * fix_to_virt() answers where the program finds the page, as all pointers here are.
 */
#ifndef TUXMM_LINUX_FIXMAP_H
#define TUXMM_LINUX_FIXMAP_H

#include <tuxmm/fixmap.h>
#include <tuxmm/linux/vmalloc.h>

#define FIX_DBGP_BASE         TMM_FIX_DBGP
#define FIX_EARLYCON_MEM_BASE TMM_FIX_EARLYCON
#define FIX_APIC_BASE         TMM_FIX_APIC
#define FIX_IO_APIC_BASE_0    TMM_FIX_IO_APIC_0
#define FIX_TEXT_POKE1        TMM_FIX_TEXT_POKE1
#define FIX_TEXT_POKE0        TMM_FIX_TEXT_POKE0

/* One that cannot be set maps nothing: touching it faults. */
TMM_LINUX_CALL void __set_fixmap(enum tmm_fix slot, phys_addr_t phys, pgprot_t prot)
{
	(void)!tmm_set_fixmap(tmm_linux.map, slot, (tmm_paddr){phys}, prot);
}

TMM_LINUX_CALL void set_fixmap(enum tmm_fix slot, phys_addr_t phys)
{
	__set_fixmap(slot, phys, PAGE_KERNEL);
}

/* For registers. */
TMM_LINUX_CALL void set_fixmap_nocache(enum tmm_fix slot, phys_addr_t phys)
{
	__set_fixmap(slot, phys, PAGE_KERNEL_NOCACHE | TMM_KPROT_IO);
}

TMM_LINUX_CALL void clear_fixmap(enum tmm_fix slot)
{
	tmm_clear_fixmap(tmm_linux.map, slot);
}

TMM_LINUX_CALL unsigned long fix_to_virt(enum tmm_fix slot)
{
	tmm_vaddr va = tmm_fix_to_virt(tmm_linux.map, slot);

	return (unsigned long)(uintptr_t)tmm_kernel_pointer(tmm_linux.map, va);
}

#endif
