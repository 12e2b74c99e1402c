#!/bin/sh
# Breaks the dependencies of a shop that runs, one after the other, sends orders
# meanwhile, and prints what the shop answers. In the end it prints the story that the
# policies tell. Needs curl.
set -eu
shop=${SHOP:-http://127.0.0.1:8080}
admin=${ADMIN:-http://127.0.0.1:8081}
say() { printf '\n== %s\n' "$*"; }
put() { curl -s -X PUT "$shop/orders/$1/tea"; }
get() { curl -s "$shop/orders/$1"; }

say "All is well"
put 1; get 1
say "Redis hangs: orders are read from PostgreSQL"
curl -s -X POST "$admin/break/redis/hang"
for i in 1 2 3 4 5; do get 1; done
curl -s -X POST "$admin/mend/redis"
say "The inventory is overloaded: it is asked again, then left alone"
curl -s -X POST "$admin/break/inventory/yes"
for i in 2 3 4 5 6; do put $i; done
curl -s -X POST "$admin/mend/inventory"
say "PostgreSQL refuses connections, and the cache still knows an order"
curl -s -X POST "$admin/break/postgres/refuse"
get 1; get 99
curl -s -X POST "$admin/mend/postgres"
say "Everything is mended; breakers let a probe through when their time has come"
sleep 3
put 7; get 7
say "What the policies did: $admin/debug/redress"
curl -s "$admin/metrics" | grep '^redress_calls_total'
