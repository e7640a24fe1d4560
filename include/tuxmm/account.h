/*
 * account.h - whom memory is lent for, and how much of it he may have
 *
 * An account is charged for every frame that is lent with TMM_GFP_ACCOUNT, and for every
 * object of a cache that accounts or that was asked for with that flag, while it is the
 * active account of the CPU that asks.  Accounts form trees: what one is charged for,
 * all above it are charged for, too, and none of them holds more than its limit.  What
 * is lent knows its account, so that the charge ends when it is freed, whoever frees it
 * and wherever.
 *
 * A charge that would go over a limit first takes back what CPUs have charged in
 * advance, then reclaims, where the request may, as long as that frees something.  If it is
 * still too much the request fails like one for which there is no memory; but
 * TMM_GFP_NOFAIL and TMM_GFP_HIGH are charged beyond the limit.
 *
 * Without an active account TMM_GFP_ACCOUNT costs what it would without the flag, but
 * for a test.  Blocks of 2 MiB that hold charged frames have a table of 4 KiB each, from
 * the first such frame on until the machine ends.  SLOB's small objects are not charged.
 *
 * Units    bytes: a frame is TMM_PAGE_SIZE, an object the room that it takes in its slab
 * Owning   the struct is the caller's, and the machine's until tmm_account_fini()
 * Locks    rank ACCOUNTS inside; any context.  Who frees what is charged may do so while others
 *          charge the same account; fini() is for when nobody does either
 * Linux    struct page_counter, set_active_memcg(), obj_cgroup_charge(), memory.max, .peak
 */
#ifndef TUXMM_ACCOUNT_H
#define TUXMM_ACCOUNT_H

#include <tuxmm/slab.h>

#define TMM_ACCOUNT_NO_LIMIT UINT64_MAX
#define TMM_ACCOUNTS_MOST    65535u /* of one machine */

/* The machine's: core/page/account.c. */
struct tmm_account {
	struct tmm_pages *pages;
	struct tmm_account *parent;
	uint64_t usage_bytes, max_bytes, peak_bytes, nr_failed;
	uint64_t counted_bytes;
	uint32_t id, nr_children;
};

/*
 * Nothing is charged, there is no limit.  The parent, NULL for none, must be there as long
 * as the account.
 *   TMM_E_NOMEM  the account cannot be listed
 *   TMM_E_NOSPC  there are TMM_ACCOUNTS_MOST
 */
TMM_MUST_CHECK tmm_err tmm_account_init(struct tmm_account *account, struct tmm_pages *pages,
                                        struct tmm_account *parent);

/* TMM_E_BUSY: it is charged for something, is some CPU's active account, or has children. */
TMM_MUST_CHECK tmm_err tmm_account_fini(struct tmm_account *account);

/*
 * Whom requests of the calling CPU are charged to from now on, NULL: nobody.  Returns who
 * was it before.  A thread that leaves its CPU leaves no active account there.
 */
struct tmm_account *tmm_account_set_active(struct tmm_pages *pages,
                                           struct tmm_account *account);
struct tmm_account *tmm_account_active(struct tmm_pages *pages);

/*
 * Limit what the account and those below it may be charged for.  If it is more already,
 * memory is reclaimed as for a request that may wait.  Not where tmm_port_may_sleep() says no.
 *   TMM_E_BUSY  it is still more: the limit is as before
 */
TMM_MUST_CHECK tmm_err tmm_account_set_max(struct tmm_account *account, uint64_t max_bytes);

struct tmm_account_info {
	uint64_t usage_bytes;    /* charged, to it and those below */
	uint64_t advance_bytes;  /* of these: for what CPUs have not lent yet */
	uint64_t max_bytes;      /* TMM_ACCOUNT_NO_LIMIT unless set */
	uint64_t peak_bytes;     /* most that usage_bytes has been (Linux: watermark) */
	uint64_t failed_charges; /* that this limit was in the way of (Linux: failcnt) */
};

/* A moment's values while others charge. */
void tmm_account_info(const struct tmm_account *account, struct tmm_account_info *out);

/* The peak is what is charged now, and no charge has failed. */
void tmm_account_reset(struct tmm_account *account);

/* Who is charged for a lent frame, and for a lent object of whatever cache; NULL: nobody. */
struct tmm_account *tmm_page_account(const struct tmm_pages *pages, tmm_pfn pfn);
struct tmm_account *tmm_object_account(const struct tmm_slab_system *slabs, const void *object);

#endif
