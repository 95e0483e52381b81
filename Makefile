# The lab and the tests. Each target first provides what it needs (toolchain/bootstrap.sh).
run := toolchain/bootstrap.sh

.PHONY: help lab test proof bench check env images clean

help:
	@echo 'make lab     hosts on this machine, pulumi up, a push and a pull'
	@echo 'make test    the gate: check, the fast tests, and one story on the lab; a quarter of an hour'
	@echo 'make proof   everything else, hours; ONLY=faults,runbook takes some groups; writes docs/reliability.md'
	@echo 'make bench   figures of updates and of the data path, in labs of its own; ONLY=up takes some'
	@echo 'make check   types, lint and format'
	@echo 'make env     prints exports for going on by hand: eval "$$(make -s env)"'
	@echo 'make images  the image archives that stack files name under .images/'
	@echo 'make clean   takes the lab away'

lab:
	@$(run) tsx lab/journey/main.ts lab

test:
	@$(run) tsx tests/main.ts

# skopeo is the client that pushes and pulls while nodes are hurt.
proof: export ONLY := $(ONLY)
proof: export SEED := $(SEED)
proof: export ROWS := $(ROWS)
proof:
	@MOORAGE_PACKAGES='skopeo qemu-system-x86' $(run) sh -c 'tsx lab/journey/main.ts prepare && exec tsx tests/proof/main.ts'

bench: export ONLY := $(ONLY)
bench:
	@$(run) tsx bench/main.ts

check:
	@$(run) npm run -s check

env:
	@$(run) tsx lab/journey/main.ts env

images:
	@$(run) tsx lab/journey/main.ts images

clean:
	@$(run) tsx lab/main.ts clean
