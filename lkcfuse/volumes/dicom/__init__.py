"""DICOM: files, multi-frame files and series to volumes, by pydicom."""
