"""Documents that people read and keep: what a report says (`model`), and its forms as PDF and HTML.

What a report is about belongs to whoever makes it. Sheets of spreadsheets belong to `catalog.delivery.workbooks`.
"""
