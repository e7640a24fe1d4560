/*
 * memcontrol.h - whom memory is charged to
 *
 * A struct mem_cgroup is an account, and no more; whoever plays the control groups makes
 * it known with tmm_account_init(&memcg->tmm, tmm_linux.pages, parent).
 */
#ifndef TUXMM_LINUX_MEMCONTROL_H
#define TUXMM_LINUX_MEMCONTROL_H

#include <tuxmm/account.h>
#include <tuxmm/linux/gfp.h>

struct mem_cgroup {
	struct tmm_account tmm;
};

/* What the calling CPU asks for with __GFP_ACCOUNT; who was it before.  NULL: nobody. */
TMM_LINUX_CALL struct mem_cgroup *set_active_memcg(struct mem_cgroup *memcg)
{
	struct tmm_account *account = memcg ? &memcg->tmm : NULL;

	return (struct mem_cgroup *)tmm_account_set_active(tmm_linux.pages, account);
}

/* Who is charged for a lent page, or for an object; NULL: nobody. */
TMM_LINUX_CALL struct mem_cgroup *page_memcg(const struct page *page)
{
	return (struct mem_cgroup *)tmm_page_account(tmm_linux.pages,
	                                             (tmm_pfn){page_to_pfn(page)});
}

TMM_LINUX_CALL struct mem_cgroup *mem_cgroup_from_obj(const void *object)
{
	return (struct mem_cgroup *)tmm_object_account(tmm_linux.slabs, object);
}

#endif
