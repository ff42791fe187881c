#!/bin/sh
# Readies the base for running only, in the last stage: the user, its folder, nothing that installs Python packages, and no
# program that gives more rights than its caller has.
set -eu
echo "tulou:x:10001:10001::/var/lib/tulou:/sbin/nologin" >> /etc/passwd
echo "tulou:x:10001:" >> /etc/group
mkdir -p -m 750 /var/lib/tulou
chown 10001:10001 /var/lib/tulou
find / -xdev -type f -perm /6000 -exec chmod ug-s {} +
rm -rf /usr/share/python-wheels /usr/lib/python3*/ensurepip /usr/local/lib/python3*/ensurepip
rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/* /usr/lib/python3/dist-packages/*
# dpkg is not there to be asked.
awk -v RS= -v ORS='\n\n' '!/^Package: (python3-pip-whl|python3-setuptools-whl|python3[.0-9]*-venv)\n/' /var/lib/dpkg/status > /tmp/status
cat /tmp/status > /var/lib/dpkg/status
rm /tmp/status /runtime.sh
