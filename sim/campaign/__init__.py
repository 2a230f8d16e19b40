"""Campaigns: many worlds in parallel, each distinct failure found once and made small.

| module | what |
|---|---|
| `seeds` | ranges of seeds |
| `source` | what is run with a seed |
| `work` | a job for one process, and what comes of it |
| `stories` | when two failures are the same |
| `engine`, `local`, `cluster`, `task`, `batch` | where jobs are carried out |
| `book` | what a campaign knows, as an append-only file |
| `drive` | the campaign itself |
| `view`, `summary`, `commands` | what a person and a CI server see |
"""
