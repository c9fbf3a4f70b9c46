/* net.h - starts libcurl once for the whole process; the openers of this layer call it themselves. */
#pragma once

void tc_net_start(void);
