"""The power of the harness, measured: known defects put into the code, and how soon each is found.

| module | what is in it |
|---|---|
| `mutants` | a defect as text to be replaced; reading and checking the frozen list |
| `hook` | puts one defect into one module as it is imported, never on disk |
| `trial` | worlds with one defect until one of them fails, in a process of its own |
| `watchdog` | runs a trial's process, and ends one that no longer comes back |
| `statistics` | the Wilson interval, and the median of censored times |
| `score` | what many trials say of each defect |
| `alarms` | worlds of the code as it is, of which none may fail |
| `commands` | `magscope power` |
"""
