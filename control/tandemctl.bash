# SPDX-License-Identifier: BSD-3-Clause
# bash completion of tandemctl
_tandemctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word command= next=
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-c | -s | --config | --socket | --timeout | --set) ((i++)) ;;
		-*) ;;
		*) [ -z "$command" ] && command=$word || next=$word ;;
		esac
	done
	case $prev in
	-c | -s | --config | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		word="--json --timeout --config --socket --help --version"
		case $command in
		show) word="$word --per-core --all" ;;
		drain) word="$word --off" ;;
		reload) word="$word --dry-run" ;;
		check) word="$word --set" ;;
		esac
	elif [ -z "$command" ]; then
		word="wait show hangup drain reload check"
	elif [ "$command" = show ] && [ -z "$next" ]; then
		word="cores ports trunks calls call counters version"
	elif [ "$command" = check ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	elif [ "$command" = hangup ] || [ "$next" = call ]; then
		word=$(tandemctl --timeout 1 show calls 2>/dev/null | awk 'NR > 1 { print $1 }')
	else
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
}
complete -F _tandemctl tandemctl
