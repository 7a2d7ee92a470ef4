cpdef str random_id()
