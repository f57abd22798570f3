"""Reference numbers: one YAML table a paper, its schema, and the audit that re-derives what can be re-derived."""

from repro.reference.audit import AuditResult as AuditResult
from repro.reference.audit import audit as audit
from repro.reference.load import load_table as load_table
from repro.reference.load import parse_table as parse_table
from repro.reference.schema import Record as Record
from repro.reference.schema import Table as Table
