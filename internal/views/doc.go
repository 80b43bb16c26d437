// Package views reads across rooms for screens, exports and metrics, and for
// the one read a tablet's request costs.
//
// It owns no table and holds SELECT only; a test reads its text for that. What
// it returns is what people see, so its types carry JSON names; they are the
// names of the API, promised to scripts.
//
// Promises, each held by a test on both databases:
//
//   - Door is one statement, by primary key and partial indexes only.
//   - A list is paged by key, not by offset: a row that comes or goes meanwhile
//     neither repeats nor hides another.
//   - The number of statements does not depend on the number of rows.
//   - Values of an earlier life of a tablet are never shown as today's.
package views
