/*
 * panic.h - what the hosted and strict ports offer beside port.h, for tests
 */
#ifndef TUXMM_HOSTED_PANIC_H
#define TUXMM_HOSTED_PANIC_H

/*
 * Call `handler` where a panic would print and abort; it does not return (a
 * longjmp).  NULL brings the printing back.
 */
void tmm_port_on_panic(void (*handler)(const char *file, unsigned line, const char *what));

/* Call `handler` with each line of the log instead of printing it; NULL: print. */
void tmm_port_on_log(void (*handler)(unsigned level, const char *line));

/* After leaving core code by longjmp: no lock is held and the thread is on no CPU. */
void tmm_port_forget_locks(void);

#endif
