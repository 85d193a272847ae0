# Each target sets up what it needs. The steps are scripts in deploy/local/.
local := deploy/local

.PHONY: up test soak stack status logs down clean check
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

up: ## the whole pipeline in the background, from nothing
	@$(local)/up.sh

test: ## all tests, on ports and folders of their own
	@$(local)/test.sh

soak: ## the long tests: SEED=N repeats a run, ROUNDS=N or MINUTES=N ends it
	@$(local)/soak.sh

stack: ## only Kafka and ClickHouse, and of them only what is down
	@$(local)/stack.sh

status: ## what runs, and how it is
	@$(local)/status.sh

logs: ## follow the logs
	@$(local)/logs.sh

down: ## stop all; the data stays
	@$(local)/down.sh

clean: down ## stop all and remove the data
	@$(local)/clean.sh

check: ## format, lints, dependency policy, unused dependencies
	@$(local)/check.sh

.PHONY: fuzz
fuzz: ## the fuzz targets, or TARGET=… alone, for SECONDS=300 each
	@$(local)/fuzz.sh "$(TARGET)" "$(SECONDS)"

.PHONY: bench
bench: ## what it carries, beside a yardstick: LONG=1 takes its time, ONLY=PART,… runs some parts, ONLY=micro the steps
	@$(local)/bench.sh
