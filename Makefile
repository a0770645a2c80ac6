# Trawlwatch: what a person types. `make` alone says what there is.
# Needs nothing but make, and says (or, as root on Debian, installs) what else is missing: .ci/prepare.

SHELL := /bin/sh
# A rustup that was installed a minute ago is not in the path of this shell yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
DEMO_CAPTURE := captures/demo.pcap.zst
DEMO_POLICY := captures/demo.policy.toml
# What depends on how vectors are dispatched, and is run again with the scalar code.
SIMD_TESTS := simd:: features:: model:: population::
# Benches read this: a second or two each, to see that they run and that their answers are right.
BENCH_SMOKE := TRAWLWATCH_BENCH=smoke

.DEFAULT_GOAL := help
.PHONY: help prepare live-tools suricata promtool soak soak-report demo build test test-native test-scalar captures models bench bench-smoke bench-report peers validators browser lint lint-format lint-clippy lint-docs

help: ## this list
	@printf 'make TARGET, where TARGET is\n'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

prepare: ## look for a C compiler, libpcap and Rust; install or name what is missing
	@.ci/prepare

live-tools: ## install what tests and benches of live capture send with (Debian, Ubuntu)
	apt-get install -y --no-install-recommends iproute2 tcpreplay tcpdump util-linux bsdutils procps

suricata: ## Suricata, beside which live capture is measured (Debian, from backports where the release has none; as root)
	@command -v suricata >/dev/null || apt-get install -y --no-install-recommends suricata || { \
	. /etc/os-release && echo "deb http://deb.debian.org/debian $$VERSION_CODENAME-backports main" >/etc/apt/sources.list.d/trawlwatch-backports.list \
	&& apt-get update && apt-get install -y --no-install-recommends -t "$$VERSION_CODENAME-backports" suricata; }

promtool: $(TARGET)/validators/bin/promtool ## Prometheus' own judge of metrics (Debian, into the build folder; no daemon is installed)

$(TARGET)/validators/bin/promtool:
	mkdir -p $(TARGET)/validators/bin $(TARGET)/validators/promtool
	cd $(TARGET)/validators/promtool && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }
	dpkg-deb --fsys-tarfile $(TARGET)/validators/promtool/prometheus_*.deb | tar -xO ./usr/bin/promtool >$@.part
	chmod +x $@.part && mv $@.part $@ && rm -r $(TARGET)/validators/promtool

soak: prepare ## live capture: highest rate without loss, then 20 minutes at half of it (TRAWLWATCH_SOAK_MINUTES)
	$(CARGO) bench --locked --bench live

soak-report: prepare ## the same, into benches/RESULTS.md
	TRAWLWATCH_BENCH_REPORT=$(CURDIR)/benches/RESULTS.md $(CARGO) bench --locked --bench live

build: prepare ## the program, optimised, in $CARGO_TARGET_DIR or target/
	$(CARGO) build --release --locked

demo: build ## build, then read the demonstration capture and print its findings
	@echo
	@echo '$$ trawlwatch replay $(DEMO_CAPTURE) --policy $(DEMO_POLICY)'
	@$(TARGET)/release/trawlwatch replay $(DEMO_CAPTURE) --policy $(DEMO_POLICY); status=$$?; \
	case $$status in \
	0) echo 'demo: nothing was found, and the demonstration holds two operations: this build is broken' >&2; exit 1;; \
	1) ;; \
	*) exit $$status;; \
	esac

test: test-native test-scalar ## every test; what uses vectors also with the scalar code

test-native: prepare
	@if $(CARGO) nextest --version >/dev/null 2>&1; \
	then set -x; $(CARGO) nextest run --locked && $(CARGO) test --locked --doc; \
	else set -x; $(CARGO) test --locked; fi

test-scalar: prepare
	@export TRAWLWATCH_SIMD=scalar; \
	if $(CARGO) nextest --version >/dev/null 2>&1; \
	then set -x; $(CARGO) nextest run --locked --lib --no-tests=pass $(SIMD_TESTS); \
	else set -x; $(CARGO) test --locked --lib -- $(SIMD_TESTS); fi

tshark: ## install tshark, by which a test judges what synth writes; users do not need it
	@command -v tshark >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -q tshark

captures: build ## write captures/ again, byte for byte
	$(TARGET)/release/trawlwatch synth --suite shipped captures --force

models: build ## write models/default.trwl and its card again, from seeds that no test and no report uses
	$(TARGET)/release/trawlwatch synth --suite training $(TARGET)/training --force
	$(TARGET)/release/trawlwatch train --labelled $(TARGET)/training --seed 1 --output models/default.trwl

bench: prepare ## every bench, at full size; one line a stage
	TRAWLWATCH_SOAK_MINUTES=$${TRAWLWATCH_SOAK_MINUTES:-1} $(CARGO) bench --locked --bench '*'

bench-smoke: prepare ## every bench, at a small size, to see that the answers are right
	$(BENCH_SMOKE) $(CARGO) bench --locked --bench '*'

bench-report: prepare ## the whole program beside libpcap and its peers, into benches/RESULTS.md
	TRAWLWATCH_BENCH_REPORT=$(CURDIR)/benches/RESULTS.md $(CARGO) bench --locked --bench whole

peers: ## flow meters to compare with (Debian and PyPI; as root)
	apt-get install -y --no-install-recommends nfdump argus-server softflowd tshark python3-pip
	$(MAKE) --no-print-directory suricata || echo 'peers: no suricata is to be had here' >&2
	pip install --break-system-packages nfstream || pip install nfstream

validators: $(TARGET)/validators/bin/stix2_validator ## readers that tests hold reports against (PyPI, into the build folder)

$(TARGET)/validators/bin/stix2_validator:
	python3 -m venv $(TARGET)/validators
	$(TARGET)/validators/bin/pip install --quiet --disable-pip-version-check \
		stix2-validator==3.3.2 pymisp==2.5.34.4 duckdb==2.0.1 pandas==3.1.1 pyarrow==26.0.1 prometheus-client==0.26.0

browser: ## Chromium, in which a test looks at the HTML report (Debian; as root)
	command -v chromium >/dev/null || apt-get install -y --no-install-recommends chromium fonts-dejavu-core

lint: lint-format lint-clippy lint-docs ## formatting, clippy and documentation, warnings as errors

lint-format: prepare
	$(CARGO) fmt --check

lint-clippy: prepare
	$(CARGO) clippy --locked --all-targets -- -D warnings

lint-docs: prepare
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items
