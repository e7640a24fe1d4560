/*
 * driver.h - what the driver offers to those who play its kernel
 */
#ifndef EXAMPLES_DRIVER_H
#define EXAMPLES_DRIVER_H

#include <linux/dma-mapping.h>

struct rot13;

/* 0, or a negated error number; nothing is left then. */
int rot13_probe(struct device *dev, resource_size_t start, struct rot13 **out);
void rot13_remove(struct rot13 *rot);
void rot13_interrupt(struct rot13 *rot);

/* Bytes, or a negated error number. */
long rot13_write(struct rot13 *rot, const char *from, size_t len);
long rot13_read(struct rot13 *rot, char *to, size_t len);

/* Requests that are kept for later. */
unsigned long rot13_spare(const struct rot13 *rot);

#endif
