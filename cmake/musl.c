/* What gcc's own library asks of glibc and musl does not have: only packages for musl are linked
 * with this. */
#include <sys/auxv.h>

unsigned long __getauxval(unsigned long type);

unsigned long __getauxval(unsigned long type)
{
    return getauxval(type);
}
