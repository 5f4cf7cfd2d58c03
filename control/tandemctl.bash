# SPDX-License-Identifier: BSD-3-Clause
# bash completion of tandemctl, which knows its own words.
_tandemctl()
{
	local IFS=$'\n' cur=${COMP_WORDS[COMP_CWORD]}
	mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	[ "${COMPREPLY[0]}" != :files ] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}
complete -F _tandemctl tandemctl
