"""How much of a file is ever read or held in memory. What is larger is refused with the bound in the report."""

MAX_FILE_BYTES = 512 * 1024 * 1024
MAX_ROWS = 1_000_000
MAX_COLUMNS = 100
MAX_CELL_CHARACTERS = 10_000
# A line of CSV or JSON, and a record of CSV over all its lines.
MAX_LINE_CHARACTERS = 1024 * 1024
MAX_NUMBER_CHARACTERS = 40
CHUNK_BYTES = 64 * 1024
# What the encoding is told from.
SAMPLE_BYTES = 256 * 1024

# A workbook's parts. Sheets of repeated words shrink to a thirtieth, so that a tenth would refuse honest ones; a bomb
# is over 1:1000. Small parts may shrink as they like. A sheet is unpacked twice and counted twice.
MAX_UNZIPPED_BYTES = 2 * 1024 * 1024 * 1024
MAX_UNZIP_RATIO = 100
UNZIP_RATIO_FROM_BYTES = 16 * 1024 * 1024
MAX_ZIP_ENTRIES = 1_000
MAX_ZIP_DIRECTORY_BYTES = 1024 * 1024
# Workbook, relations and styles are read whole.
MAX_PART_BYTES = 8 * 1024 * 1024
# The table of shared texts is held in memory: up to 2 bytes a character, 60 a text.
MAX_SHARED_TEXTS = 1_000_000
MAX_SHARED_CHARACTERS = 40_000_000
MAX_XML_TOKEN_BYTES = 1024 * 1024
