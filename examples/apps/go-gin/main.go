// A Gin app: modules pinned by go.sum, no Procfile.
package main

import (
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	router := gin.Default()
	router.GET("/", func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"message": "Hello from Gin"})
	})
	if err := router.Run(os.Getenv("BIND_ADDRESS") + ":" + os.Getenv("PORT")); err != nil {
		panic(err)
	}
}
