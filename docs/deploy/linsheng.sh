#!/bin/sh
# The command line where systemd runs the service: as its user, with its settings and its secrets, which a shell of yours
# has not. Install it as /usr/local/bin/linsheng. Paths on its command line are absolute: it works in the data folder.
set -eu
exec systemd-run --quiet --collect --wait --pipe --pty \
	--uid=linsheng --gid=linsheng --working-directory=/var/lib/linsheng \
	--property=StateDirectory=linsheng --property=StateDirectoryMode=0750 --property=UMask=0027 \
	--property=EnvironmentFile=/etc/linsheng/linsheng.env \
	--setenv=LINSHENG_HOME=/var/lib/linsheng --setenv=LINSHENG_SECRETS_DIR=/etc/linsheng/secrets \
	-- /opt/linsheng/bin/linsheng "$@"
