# What SQLite's test files call, in as many words as reading them takes. `db` and `sqlite3` are Python's (sqlite_tests.py),
# and so are `heard_test`, `begin_test` and `capable`. What is not known answers 0: most of it turns knobs.

proc fix_testname {varname} {
  upvar $varname name
  if {[info exists ::testprefix] && [string is digit [string range $name 0 0]]} {
    set name "${::testprefix}-$name"
  }
}

proc do_test {name cmd expected} {
  fix_testname name
  begin_test $name
  if {[catch {uplevel #0 "$cmd;\n"} result]} { set result "Error: $result" }
  heard_test $name $cmd $expected $result
}

proc execsql {sql {db db}} { uplevel [list $db eval $sql] }
proc catchsql {sql {db db}} { set r [catch [list uplevel [list $db eval $sql]] msg]; list $r $msg }
proc execsql2 {sql} {
  set result {}
  db eval $sql data { foreach f $data(*) { lappend result $f $data($f) } }
  return $result
}

proc do_execsql_test {args} {
  set db db
  if {[lindex $args 0] eq "-db"} { set db [lindex $args 1]; set args [lrange $args 2 end] }
  lassign $args name sql result
  fix_testname name
  uplevel do_test [list $name] [list "execsql {$sql} $db"] [list [list {*}$result]]
}
proc do_timed_execsql_test {args} { uplevel do_execsql_test $args }
proc do_realnum_test {args} { uplevel do_test $args }
proc do_catchsql_test {name sql result} { uplevel do_test [list $name] [list "catchsql {$sql}"] [list $result] }
proc do_eqp_test {args} {}
proc eqp {args} {}
proc do_select_tests {prefix args} {
  foreach {number sql result} [lindex $args end] {
    if {[llength $args] == 1} { uplevel do_execsql_test $prefix.$number [list $sql] [list [list {*}$result]] }
  }
}
proc do_ioerr_test {args} {}
proc do_malloc_test {args} {}
proc do_faultsim_test {args} {}

proc ifcapable {expr code {else ""} {elsecode ""}} {
  set c [catch {uplevel 1 [expr {[capable $expr] ? $code : $elsecode}]} r]
  return -code $c $r
}

proc finish_test {} { return -code return }
proc permutation {} { return "" }
proc isquick {} { return 1 }
proc integrity_check {args} {}
proc reset_db {} { catch {db close}; sqlite3 db ""; set ::DB db }
proc drop_all_tables {{db db}} {
  foreach {name type} [$db eval {SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'}] {
    catch { $db eval "DROP $type \"$name\"" }
  }
}
proc unknown {args} { return 0 }
proc working_64bit_int {} { return 1 }
proc source {args} {}
proc puts {args} {}
proc exit {args} { error "exit" }
foreach word {exec open socket cd load file glob after vwait} { catch { rename $word "" } }
proc file {args} { return 0 }
set testdir .
set argv0 x
set argv {}
set AUTOVACUUM 0
set TEMP_STORE 0
set SQLITE_MAX_LENGTH 1000000000
set SQLITE_MAX_COMPOUND_SELECT 500
set SQLITE_MAX_EXPR_DEPTH 1000
set sqlite_search_count 0
set sqlite_sort_count 0
set sqlite_like_count 0
set sqlite_query_plan ""
set DB db
foreach word {casesensitivelike default_autovacuum default_cache_size} { set sqlite_options($word) 0 }
foreach word {subquery compound view conflict cte windowfunc like_match_blobs long_double} { set sqlite_options($word) 1 }
