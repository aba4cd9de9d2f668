/* Hides VNNI, AVX-512 and AMX from a process on Linux: libraries choose the kernels of a Haswell.

       cc -O1 -shared -fPIC without_vnni.c -o without_vnni.so && LD_PRELOAD=./without_vnni.so python ...

   `arch_prctl(ARCH_SET_CPUID, 0)` makes every CPUID a segmentation fault, where processor and hypervisor
   allow it ("cpuid_fault" in /proc/cpuinfo); the handler answers it. At full speed, unlike an emulator, so
   kernels for older processors can be timed. Exits with 86 where CPUID cannot be made to fault. */

#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define BIT(n) (1u << (n))

static void answer(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const unsigned char *code = (const unsigned char *)registers[REG_RIP];
  (void)info;
  if (code[0] != 0x0f || code[1] != 0xa2) { /* a real one: it comes again, and ends the process */
    signal(number, SIG_DFL);
    return;
  }
  unsigned a = (unsigned)registers[REG_RAX], b, c = (unsigned)registers[REG_RCX], d;
  const unsigned leaf = a, part = c;
  syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
  if (leaf == 7 && part == 0) {
    /* AVX512 F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW, 4FMAPS,
       VP2INTERSECT, AMX BF16, AVX512 FP16, AMX TILE and INT8 */
    b &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
    c &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
    d &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25));
  } else if (leaf == 7 && part == 1) { /* AVX VNNI, AVX512 BF16; AVX VNNI INT8 */
    a &= ~(BIT(4) | BIT(5));
    d &= ~BIT(4);
  }
  registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (sigaction(SIGSEGV, &action, 0) != 0 || syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) _exit(86);
}
