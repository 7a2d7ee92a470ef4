cpdef str address_key(str host)
cpdef by_client(request)
