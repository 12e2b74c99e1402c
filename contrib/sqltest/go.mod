module github.com/redress-policy/redress/contrib/sqltest

go 1.26.0
