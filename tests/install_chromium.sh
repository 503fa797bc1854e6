#!/usr/bin/env bash
# Installs Chromium for the browser tests where the system's package manager allows it.
set -u
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then exit 0; fi
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt-get update -qq && apt-get install -y -qq chromium >/dev/null && exit 0
fi
echo "Chromium is not here and could not be installed (needs apt-get and root): browser tests will be skipped."
