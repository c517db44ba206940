/* The translation of errno into the errors of carom.h. */
#ifndef CAROM_BASE_ERRORS_H
#define CAROM_BASE_ERRORS_H

/* The -CAROM_E... that stands for an errno value; -CAROM_ESYSTEM when none does. */
int carom_error_from_errno(int error);

#endif
