/* A kernel that does nothing: where the launcher is built with this header in front, its system calls come here. The model
 * reads and writes the memory that the kernel would, under the eyes of ASan, and answers what the fuzzer's bytes say. */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYS_CALL model_call
#define SYS_CLONE model_clone
long model_clone(long flags, long *stack, int *pidfd, int *number, void (*begin)(void *), void *argument);
long model_call(long number, long a, long b, long c, long d, long e, long f);

/* Plays a plan of these bytes, whatever they are. When the answers are used up every call succeeds. false: the launcher has
 * refused the plan. */
bool model_play(const uint8_t *plan, size_t size, const uint8_t *answers, size_t count);

/* The next byte of the answers, 0 after the last. */
uint8_t model_answer(void);
void model_answers(const uint8_t *answers, size_t count);

#endif
