# The lab and the tests. Each target first provides what it needs (toolchain/bootstrap.sh).
run := toolchain/bootstrap.sh

.PHONY: help lab test test-vm runbook chaos bench check env images clean

help:
	@echo 'make lab     hosts on this machine, pulumi up, a push and a pull'
	@echo 'make test    every test, those on the lab included'
	@echo 'make test-vm what the lab cannot: VLAN, encrypted overlay, another clock, in two emulated machines'
	@echo 'make runbook the commands of docs/runbook.md, each on what it is for, in a lab of its own'
	@echo 'make chaos   every change, and every fault for every role of a node, under load; writes docs/reliability.md'
	@echo 'make bench   seconds and SSH connections of updates, in a lab of its own'
	@echo 'make check   types, lint and format'
	@echo 'make env     prints exports for going on by hand: eval "$$(make -s env)"'
	@echo 'make images  the image archives that stack files name under .images/'
	@echo 'make clean   takes the lab away'

lab:
	@$(run) tsx lab/journey/main.ts lab

# skopeo is the client that pushes and pulls while nodes are hurt.
test:
	@MOORAGE_PACKAGES=skopeo $(run) sh -c 'tsx lab/journey/main.ts images >/dev/null && tsx tests/main.ts'

test-vm:
	@MOORAGE_PACKAGES=qemu-system-x86 $(run) vitest run --config tests/vm/vitest.config.ts

runbook:
	@$(run) sh -c 'tsx lab/journey/main.ts images >/dev/null && exec tsx tests/run.ts vitest run --config tests/runbook/vitest.config.ts'

# CHAOS='--only power,cut-off' takes some of the faults, '--only change' the changes.
chaos:
	@MOORAGE_PACKAGES=skopeo $(run) tsx tests/run.ts tsx tests/chaos/main.ts $(CHAOS)

bench:
	@$(run) tsx tests/run.ts tsx bench/up.ts

check:
	@$(run) npm run -s check

env:
	@$(run) tsx lab/journey/main.ts env

images:
	@$(run) tsx lab/journey/main.ts images

clean:
	@$(run) tsx lab/main.ts clean
