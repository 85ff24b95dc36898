# Checks that run beside each other, for scripts of this folder to source. Each check gets a folder
# of its own (`work`), and its line is printed when all have ended, in the order of their names.
#
# Sets: checks_run, which runs one; checks_end, which waits for all and counts them; passed, failed,
# skipped. Needs: work, a folder for everything.

passed=0
failed=0
skipped=0
check_names=()

checks_run() {  # checks_run NAME COMMAND...
    local name=$1 folder=$work/${#check_names[@]}
    shift
    check_names+=("$name")
    mkdir "$folder"
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n || true; done
    (
        status=0
        work=$folder
        cd "$folder"
        "$@" >log 2>&1 || status=$?
        echo "$status" >status
    ) &
}

checks_skip() {  # checks_skip NAME REASON
    printf '   skipped %s: %s\n' "$1" "$2"
    skipped=$((skipped + 1))
}

checks_end() {
    wait
    local number
    for number in "${!check_names[@]}"; do
        if [[ $(cat "$work/$number/status" 2>/dev/null) == 0 ]]; then
            printf '   ok      %s\n' "${check_names[number]}"
            passed=$((passed + 1))
        else
            printf '   FAILED  %s\n' "${check_names[number]}"
            tail -n 60 "$work/$number/log" | sed 's/^/           /'
            failed=$((failed + 1))
        fi
    done
}
