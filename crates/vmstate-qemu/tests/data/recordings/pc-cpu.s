# The program of recording `pc-cpu`: sets what an x86 CPU sends in subsections, then spins in a nested guest.
#
#   as --32 -o pc-cpu.o pc-cpu.s && ld -m elf_i386 -Ttext=0 -e 0 --oformat binary -o pc-cpu.bin pc-cpu.o
#
# It runs from F000:0000. What a CPU does not have is an exception, and skipped: EBX is where to go on.

        .set base, 0xf0000

        .macro or_next                          # an exception goes on behind the instruction at 9
        movl $(9f + base), %ebx
        .endm

        .macro write_msr number, low, high=0
        or_next
        movl $\number, %ecx
        movl $\low, %eax
        movl $\high, %edx
        wrmsr
9:
        .endm

        .code16
start:  cli
        lgdtl %cs:gdtr
        movl %cr0, %eax
        orb $1, %al
        movl %eax, %cr0
        ljmpl $8, $(main + base)

        .balign 8
gdt:    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:   .word 23
        .long gdt + base
idtr:   .word 255
        .long 0x1000

        .code32
main:   movw $16, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movl $0x8000, %esp
        # 32 exceptions; those in the mask have an error code.
        movl $0x1000, %edi
        xorl %ecx, %ecx
1:      movl $(without_code + base), %eax
        movl $0x40227d00, %edx
        btl %ecx, %edx
        jnc 2f
        movl $(with_code + base), %eax
2:      movw %ax, (%edi)
        movw $8, 2(%edi)
        movw $0x8e00, 4(%edi)
        shrl $16, %eax
        movw %ax, 6(%edi)
        addl $8, %edi
        incl %ecx
        cmpl $32, %ecx
        jb 1b
        lidtl idtr + base
        # CR4: SSE, XSAVE, protection keys of users, large pages.
        .irp bits, 0x600, 0x40000, 0x400000, 0x10
        or_next
        movl %cr4, %eax
        orl $\bits, %eax
        movl %eax, %cr4
9:
        .endr
        # XCR0: up to AVX, bounds, AVX-512, protection keys.
        .irp bits, 7, 0x1f, 0xe7, 0x2e7
        or_next
        xorl %ecx, %ecx
        xorl %edx, %edx
        movl $\bits, %eax
        xsetbv
9:
        .endr
        fninit
        fld1
        fldpi
        fstps 0x3000
        or_next
        pcmpeqd %xmm1, %xmm1
        vpcmpeqd %ymm1, %ymm1, %ymm1
9:      or_next
        xorl %ecx, %ecx
        xorl %edx, %edx
        movl $4, %eax
        wrpkru
9:
        write_msr 0x1a0, 0x850089               # IA32_MISC_ENABLE
        write_msr 0x6e1, 4                      # IA32_PKRS
        write_msr 0xd90, 0x1001                 # IA32_BNDCFGS
        write_msr 0xc0000103, 7                 # TSC_AUX
        write_msr 0xc0000081, 0x1111            # STAR
        write_msr 0xc0000102, 0x3333            # KERNEL_GS_BASE
        outb %al, $0xb2                         # a system management interrupt, of which RSM is all
        nop
        # EFER.SVME, then a guest behind nested pages of 4 MiB, all where they are.
        movl $0xc0000080, %ecx
        rdmsr
        orl $0x1000, %eax
        wrmsr
        write_msr 0xc0010117, 0x102000          # where VMRUN puts the host
        movl $0x100000, %edi
        xorl %eax, %eax
        movl $0x400, %ecx
        rep stosl
        movl $0x101000, %edi
        movl $0x87, %eax
        movl $1024, %ecx
1:      stosl
        addl $0x400000, %eax
        loop 1b
        movl $0x100000, %eax
        vmsave
        movl $1, 0x100010                       # intercepts VMRUN
        movl $1, 0x100058                       # address space
        movl $0x01000200, 0x100060              # virtual interrupts
        movl $1, 0x100090                       # nested pages
        movl $0x101000, 0x1000b0
        .irp segment, 0x400, 0x420, 0x430       # ES, SS, DS
        movl $0x0c930010, 0x100000 + \segment
        movl $-1, 0x100004 + \segment
        .endr
        movl $0x0c9b0008, 0x100410              # CS
        movl $-1, 0x100414
        movl $0x1000, 0x1004d0                  # EFER
        movl %cr4, %eax
        movl %eax, 0x100548
        movl %cr0, %eax
        movl %eax, 0x100558
        movl $2, 0x100570                       # RFLAGS
        movl $(spin + base), 0x100578
        movl $0x7000, 0x1005d8                  # RSP
        movl $0x00070406, %eax                  # PAT
        movl %eax, 0x100668
        movl %eax, 0x10066c
        movl $0x100000, %eax
        vmrun
spin:   jmp spin

with_code: addl $4, %esp
without_code: movl %ebx, (%esp)
        iretl
