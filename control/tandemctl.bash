# SPDX-License-Identifier: BSD-3-Clause
# bash completion of tandemctl, which knows its own words.
_tandemctl()
{
	local IFS=$'\n' cur=${COMP_WORDS[COMP_CWORD]}
	mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	[ "${COMPREPLY[0]}" = :files ] || return 0
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	compopt -o filenames 2>/dev/null # a folder goes on with a slash, a blank is escaped
}
complete -F _tandemctl tandemctl
