// Package sqltest holds tests: redresssql and the pack std.sql against PostgreSQL and
// MariaDB, through drivers that the core must not depend on.
package sqltest
