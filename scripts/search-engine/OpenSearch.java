import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.Locale;
import org.codelibs.opensearch.runner.OpenSearchRunner;
import org.opensearch.Version;

/** Runs one OpenSearch node on the loopback, in the folder given, until standard input ends. Says where and which it is. */
public final class OpenSearch {
    public static void main(String[] args) throws Exception {
        Locale.setDefault(Locale.ROOT);
        int port = freePort();
        try (var runner = new OpenSearchRunner()) {
            runner.onBuild((number, settings) -> {
                settings.put("network.host", "127.0.0.1");
                settings.put("http.port", port);
                settings.put("transport.port", "0");
                settings.put("discovery.type", "single-node");
                settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
            }).build(OpenSearchRunner.newConfigs().numOfNode(1).basePath(args[0]).clusterName("test-search").disableESLogger());
            System.out.println("listening http://127.0.0.1:" + port + " OpenSearch " + Version.CURRENT);
            while (System.in.read() >= 0) {
                // whoever started this holds the other end
            }
        }
    }

    private static int freePort() throws Exception {
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
