(ns hello.core
  (:gen-class)
  (:import (com.sun.net.httpserver HttpHandler HttpServer)
           (java.net InetSocketAddress)))

(def text (.getBytes "Hello from Clojure\n" "UTF-8"))

(def handler
  (reify HttpHandler
    (handle [_ exchange]
      (.sendResponseHeaders exchange 200 (count text))
      (.write (.getResponseBody exchange) text)
      (.close exchange))))

(defn -main []
  (let [port (Integer/parseInt (System/getenv "PORT"))
        address (InetSocketAddress. (System/getenv "BIND_ADDRESS") port)]
    (doto (HttpServer/create address 0)
      (.createContext "/" handler)
      (.start))))
