echo "compiling the greeting"
echo "greeting.c:3: error: expected \";\" before \"}\" token" >&2
exit 3
