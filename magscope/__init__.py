"""The process core of a magnetic-tweezers microscope: router, managers, shared memory."""
