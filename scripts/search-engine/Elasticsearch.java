import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.Build;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Runs one Elasticsearch node on the loopback, in the folder given, until standard input ends. Says where and which it is. The
 * folder holds the modules, as a distribution does.
 */
public final class Elasticsearch {
    public static void main(String[] args) throws Exception {
        Locale.setDefault(Locale.ROOT);
        int port = freePort();
        LogConfigurator.configureESLogging();
        var environment = new Environment(Settings.builder()
            .put("path.home", args[0])
            .put("cluster.name", "test-search")
            .put("network.host", "127.0.0.1")
            .put("http.port", port)
            .put("transport.port", "0")
            .put("discovery.type", "single-node")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build(), Path.of(args[0], "config"));
        var modules = PluginsLoader.createPluginsLoader(modules(environment.modulesDir()), Set.of(), Map.of());
        try (var node = new Node(environment, modules)) {
            node.start();
            System.out.println("listening http://127.0.0.1:" + port + " Elasticsearch " + Build.current().version());
            while (System.in.read() >= 0) {
                // whoever started this holds the other end
            }
        }
    }

    /** Elasticsearch 9 asks besides whether it runs as a hosted service. */
    @SuppressWarnings("unchecked")
    private static Set<PluginBundle> modules(Path folder) throws Exception {
        var load = Arrays.stream(PluginsLoader.class.getMethods()).filter(m -> m.getName().equals("loadModulesBundles")).findFirst().orElseThrow();
        var arguments = load.getParameterCount() == 1 ? new Object[] {folder} : new Object[] {folder, false};
        return (Set<PluginBundle>) load.invoke(null, arguments);
    }

    private static int freePort() throws Exception {
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
