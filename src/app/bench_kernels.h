/* bench_kernels.h - what `tickcast bench lstm` does first: every kernel that runs here on windows of three
 * shapes, beside what the machine allows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Says which kernel is used and why, then a line for each shape, number of rows, of threads (one, and those
 * given; 0 = all) and kernel, measured in turn over `rounds` rounds: time of a step, its arithmetic a second,
 * the share of the roofline, the largest error of h against float64, times as fast as plain C. The roofline
 * is measured too: the kernel's own loop out of the first cache, and reading as much as a layer's hidden
 * weights, whichever bounds the step. */
int tc_bench_kernels(int64_t rounds, int threads, bool json);
