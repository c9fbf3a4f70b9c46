/* lossy_crash NOTES SEED: applies the loss of power to the files noted; prints how many lost something. */
#include "lossy.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    printf("%d\n", lossy_crash(argv[1], strtoull(argv[2], NULL, 10)));
    return 0;
}
