"""The benchmark driver: Moongate and its peers on the same work, in CPU time per request.

The method is meant for a small noisy machine. The proxy under test is pinned to one core, load generator and
backend to another; peers and Moongate take turns (A B A B); what is compared is the median of paired ratios of
on-CPU time per completed request, never requests per second of different minutes.

    host       what the machine offers: cores, packages, ports, the build
    process    a pinned process, its CPU time and memory
    load       wrk, and keep-alive clients of our own
    peers      how each proxy is configured for a shape of work
    workloads  the work itself
    figures    medians, quartiles, tables, bars
    compare    interleaved runs          gates    system calls, memory, allocations
    reloads    1,000 live changes        scale    10,000 Ingresses
"""
