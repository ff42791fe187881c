"""One-stop administrative approval (行政审批): items, cases, their clocks and documents."""
