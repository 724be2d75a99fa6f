module chanrt/net

go 1.23
