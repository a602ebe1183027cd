"""What differs on purpose in the tables of cases: name -> [(pattern of the line that reports it, why), …].

An entry that matches nothing any more fails.
"""

DIFFERENT = {}
