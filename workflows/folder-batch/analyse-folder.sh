#!/usr/bin/env bash
# Analyse a folder that slides keep arriving in: what is done is passed over, what is new or changed is done.
#
#   analyse-folder.sh INBOX RESULTS [options of pathopipe run]
#
# Made for cron or a systemd timer. Slides changed within the last MIN_AGE_MIN minutes are left for the next time:
# they may still be copied.
set -euo pipefail

if (( $# < 2 )); then
  echo "usage: analyse-folder.sh INBOX RESULTS [options of pathopipe run]" >&2
  exit 2
fi
inbox=$1
results=$2
shift 2
min_age_min=${MIN_AGE_MIN:-10}

manifest=$(mktemp --suffix=.csv)
trap 'rm -f "$manifest"' EXIT

echo slide > "$manifest"
find "$(realpath "$inbox")" -type f -mmin "+$min_age_min" \
  \( -iname '*.svs' -o -iname '*.ndpi' -o -iname '*.scn' -o -iname '*.mrxs' -o -iname '*.bif' -o -iname '*.tif' -o -iname '*.tiff' \) \
  -print0 | sort -z |
  while IFS= read -r -d '' slide; do
    printf '"%s"\n' "${slide//\"/\"\"}"       # a CSV field may hold commas; quotes in it are doubled
  done >> "$manifest"

if [[ $(wc -l < "$manifest") -lt 2 ]]; then
  echo "no slides in $inbox"
  exit 0
fi

# 0: all complete; 1: some failed, and summary.csv and report.html say which and why; 2: wrong usage.
status=0
pathopipe run "$manifest" --out "$results" "$@" || status=$?
if (( status == 1 )); then
  echo "some slides failed; see $results/report.html" >&2
fi
exit "$status"
