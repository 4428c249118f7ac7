/* A program that ends at once, without a C library: what all contestants execute, so that only they are measured. */
void _start(void);

void _start(void) {
#if defined(__x86_64__)
    __asm__ volatile("syscall" : : "a"(60), "D"(0));
#elif defined(__aarch64__)
    register long number __asm__("x8") = 93;
    register long status __asm__("x0") = 0;
    __asm__ volatile("svc 0" : : "r"(number), "r"(status));
#else
#error "exit(2) in assembly is wanted here"
#endif
    __builtin_unreachable();
}
