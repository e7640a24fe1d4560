/*
 * rot13.c - a character device over the chip, written as one writes drivers for Linux
 *
 * What is written to the device is turned by the chip and read back in the same order.
 * Requests come from a mempool, so that a write that may sleep never fails for want
 * of one; buffers are pages that are lent to the chip while it works; spare ones are
 * kept for later writes, until a shrinker is asked for them.
 *
 *	write -> submitted: in the ring -> interrupt -> done -> read -> spare
 */
#include <linux/dma-mapping.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mempool.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "driver.h"
#include "rot13.h"

#define RING_SIZE  16u
#define MIN_NR     4 /* requests in reserve */
#define RING_BYTES (RING_SIZE * sizeof(struct rot13_desc))

struct rot13_request {
	struct rot13_request *next;
	char *buffer; /* a page */
	size_t len;
	dma_addr_t dma;
	bool failed;
};

struct rot13_queue {
	struct rot13_request *first, **end;
};

struct rot13 {
	struct device *dev;
	resource_size_t start;
	void __iomem *regs;
	struct rot13_desc *ring;
	dma_addr_t ring_dma;
	unsigned int head, tail; /* ours: what was not taken back, what is not filled */
	struct kmem_cache *cache;
	mempool_t *pool;
	struct rot13_request *in_ring[RING_SIZE];
	struct rot13_queue done, spare;
	unsigned long nr_spare;
	struct shrinker *shrinker;
};

static void queue_init(struct rot13_queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void queue_add(struct rot13_queue *queue, struct rot13_request *request)
{
	request->next = NULL;
	*queue->end = request;
	queue->end = &request->next;
}

static struct rot13_request *queue_take(struct rot13_queue *queue)
{
	struct rot13_request *request = queue->first;

	if (request) {
		queue->first = request->next;
		if (!queue->first)
			queue->end = &queue->first;
	}
	return request;
}

/* ---- requests and their buffers ---- */

static void request_free(struct rot13 *rot, struct rot13_request *request)
{
	free_page((unsigned long)request->buffer);
	mempool_free(request, rot->pool);
}

static struct rot13_request *request_alloc(struct rot13 *rot)
{
	struct rot13_request *request = queue_take(&rot->spare);

	if (request) {
		rot->nr_spare--;
		return request;
	}
	request = mempool_alloc(rot->pool, GFP_KERNEL);
	request->buffer = (char *)__get_free_page(GFP_KERNEL);
	if (!request->buffer) {
		mempool_free(request, rot->pool);
		return NULL;
	}
	return request;
}

static unsigned long spare_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	const struct rot13 *rot = shrinker->private_data;

	(void)sc;
	return rot->nr_spare ? rot->nr_spare : SHRINK_EMPTY;
}

static unsigned long spare_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct rot13 *rot = shrinker->private_data;
	unsigned long freed = 0;

	while (freed < sc->nr_to_scan && rot->nr_spare) {
		request_free(rot, queue_take(&rot->spare));
		rot->nr_spare--;
		freed++;
	}
	return freed ? freed : SHRINK_STOP;
}

/* ---- the ring ---- */

static int submit(struct rot13 *rot, struct rot13_request *request)
{
	unsigned int next = (rot->tail + 1) % RING_SIZE;

	if (next == rot->head)
		return -EAGAIN;
	request->dma = dma_map_single(rot->dev, request->buffer, request->len,
	                              DMA_BIDIRECTIONAL);
	if (dma_mapping_error(rot->dev, request->dma))
		return -ENOMEM;
	rot->ring[rot->tail] = (struct rot13_desc){.addr = request->dma,
	                                           .len = (u32)request->len};
	rot->in_ring[rot->tail] = request;
	rot->tail = next;
	writel(next, (char __iomem *)rot->regs + ROT13_TAIL);
	return 0;
}

void rot13_interrupt(struct rot13 *rot)
{
	unsigned int head = readl((char __iomem *)rot->regs + ROT13_HEAD);

	writel(1, (char __iomem *)rot->regs + ROT13_IRQ);
	for (; rot->head != head; rot->head = (rot->head + 1) % RING_SIZE) {
		struct rot13_request *request = rot->in_ring[rot->head];

		request->failed = !(rot->ring[rot->head].status & ROT13_DONE);
		dma_unmap_single(rot->dev, request->dma, request->len, DMA_BIDIRECTIONAL);
		queue_add(&rot->done, request);
	}
}

/* ---- what a program sees ---- */

long rot13_write(struct rot13 *rot, const char *from, size_t len)
{
	struct rot13_request *request;
	int err;

	if (!len)
		return 0;
	request = request_alloc(rot);
	if (!request)
		return -ENOMEM;
	request->len = len < PAGE_SIZE ? len : PAGE_SIZE;
	memcpy(request->buffer, from, request->len);
	err = submit(rot, request);
	if (err) {
		request_free(rot, request);
		return err;
	}
	return (long)request->len;
}

/* The oldest write that is done, as much as fits; 0: there is none. */
long rot13_read(struct rot13 *rot, char *to, size_t len)
{
	struct rot13_request *request = queue_take(&rot->done);
	long err;

	if (!request)
		return 0;
	len = len < request->len ? len : request->len;
	err = request->failed ? -EIO : (long)len;
	if (!request->failed)
		memcpy(to, request->buffer, len);
	queue_add(&rot->spare, request);
	rot->nr_spare++;
	return err;
}

unsigned long rot13_spare(const struct rot13 *rot)
{
	return rot->nr_spare;
}

/* ---- coming and going ---- */

static int map_registers(struct rot13 *rot)
{
	if (!request_mem_region(rot->start, ROT13_BYTES, "rot13"))
		return -EBUSY;
	rot->regs = ioremap(rot->start, ROT13_BYTES);
	if (rot->regs && readl((char __iomem *)rot->regs + ROT13_ID) == ROT13_ID_VALUE)
		return 0;
	iounmap(rot->regs);
	release_mem_region(rot->start, ROT13_BYTES);
	return rot->regs ? -ENODEV : -ENOMEM;
}

static void unmap_registers(struct rot13 *rot)
{
	iounmap(rot->regs);
	release_mem_region(rot->start, ROT13_BYTES);
}

static int make_ring(struct rot13 *rot)
{
	int err = dma_set_mask_and_coherent(rot->dev, DMA_BIT_MASK(32));

	if (err)
		return err;
	rot->ring = dma_alloc_coherent(rot->dev, RING_BYTES, &rot->ring_dma, GFP_KERNEL);
	if (!rot->ring)
		return -ENOMEM;
	writel((u32)rot->ring_dma, (char __iomem *)rot->regs + ROT13_RING_LO);
	writel((u32)(rot->ring_dma >> 32), (char __iomem *)rot->regs + ROT13_RING_HI);
	writel(RING_SIZE, (char __iomem *)rot->regs + ROT13_SIZE);
	return 0;
}

static void stop_ring(struct rot13 *rot)
{
	writel(0, (char __iomem *)rot->regs + ROT13_SIZE);
	dma_free_coherent(rot->dev, RING_BYTES, rot->ring, rot->ring_dma);
}

static int make_pools(struct rot13 *rot)
{
	rot->cache = KMEM_CACHE(rot13_request, SLAB_HWCACHE_ALIGN);
	rot->pool = rot->cache ? mempool_create_slab_pool(MIN_NR, rot->cache) : NULL;
	rot->shrinker = rot->pool ? shrinker_alloc(0, "rot13-%llx", rot->start) : NULL;
	if (!rot->shrinker) {
		mempool_destroy(rot->pool);
		kmem_cache_destroy(rot->cache);
		return -ENOMEM;
	}
	rot->shrinker->count_objects = spare_count;
	rot->shrinker->scan_objects = spare_scan;
	rot->shrinker->private_data = rot;
	shrinker_register(rot->shrinker);
	return 0;
}

static void drop_pools(struct rot13 *rot)
{
	struct rot13_request *request;

	shrinker_free(rot->shrinker);
	while ((request = queue_take(&rot->done)) || (request = queue_take(&rot->spare)))
		request_free(rot, request);
	mempool_destroy(rot->pool);
	kmem_cache_destroy(rot->cache);
}

int rot13_probe(struct device *dev, resource_size_t start, struct rot13 **out)
{
	struct rot13 *rot = kzalloc(sizeof(*rot), GFP_KERNEL);
	int err;

	if (!rot)
		return -ENOMEM;
	rot->dev = dev;
	rot->start = start;
	queue_init(&rot->done);
	queue_init(&rot->spare);
	err = map_registers(rot);
	if (err)
		goto free;
	err = make_ring(rot);
	if (err)
		goto unmap;
	err = make_pools(rot);
	if (err)
		goto stop;
	*out = rot;
	return 0;
stop:
	stop_ring(rot);
unmap:
	unmap_registers(rot);
free:
	kfree(rot);
	return err;
}

void rot13_remove(struct rot13 *rot)
{
	drop_pools(rot);
	stop_ring(rot);
	unmap_registers(rot);
	kfree(rot);
}
